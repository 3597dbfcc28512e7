"""What a person runs: the command line, the supervisor and the composition root."""
