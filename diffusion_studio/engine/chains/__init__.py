"""Reverse chains: their description, their record, branches, export."""
