"""The command line: the same engine without a window. One file a command, imported when it is asked for."""
