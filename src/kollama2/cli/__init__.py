"""The command line: thin commands over functions that Python can call as well."""
