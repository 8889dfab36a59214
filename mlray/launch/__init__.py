"""Clusters from YAML."""
