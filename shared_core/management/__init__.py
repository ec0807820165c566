"""What Django looks for by name: the package of commands."""
