"""The notifier's schema, revision by revision."""
