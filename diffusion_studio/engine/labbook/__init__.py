"""The lab book: what a person writes about runs, and how runs differ."""
