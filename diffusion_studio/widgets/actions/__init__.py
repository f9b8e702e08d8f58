"""What can be done, in one table, and the menus, keys and sheets that are made from it."""
