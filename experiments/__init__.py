"""Experiments as YAML files, packaged so that `gcahng train quickstart` works in any folder."""
