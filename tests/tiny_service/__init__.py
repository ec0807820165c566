"""A service with one page and three tasks, to be run by the programs that services are run by."""
