"""Files and folders: written whole, locked, named safely, read with errors that help."""
