"""The server: what the program can do, over HTTP."""
