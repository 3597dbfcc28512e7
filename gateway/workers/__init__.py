"""The imperative shell, one file a process: it hears, lets a pure stage decide, and acts."""
