"""What happens between a person and a persona."""
