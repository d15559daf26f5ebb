"""The catalogue: one exercise a file. A file is read by path and need not be imported from here."""
