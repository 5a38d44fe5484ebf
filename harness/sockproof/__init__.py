"""The harness: command line, pytest plug-in, doctor. The runner (C++) does the running; this calls it and shows its records."""
