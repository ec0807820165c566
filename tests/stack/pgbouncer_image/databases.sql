-- Each service of the fleet has a database of its own.
CREATE DATABASE hdms_user;
CREATE DATABASE hdms_ticket;
CREATE DATABASE hdms_communication;
CREATE DATABASE hdms_file;
