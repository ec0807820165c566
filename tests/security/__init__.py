"""The library as an attacker meets it; SECURITY.md says what each file here shows."""
