"""What every page that a browser shows has in common: layout, assets, language, headers."""
