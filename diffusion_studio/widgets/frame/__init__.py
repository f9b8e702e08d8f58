"""What stands around a page: rail, header, banners, cards, empty states."""
