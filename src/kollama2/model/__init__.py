"""One owner of what a model folder is: read, addressed, loaded and written here."""
