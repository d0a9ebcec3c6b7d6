"""The command line: one file for each verb, or for verbs that belong together."""
