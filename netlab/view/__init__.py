"""What a person sees: text, JSON, pictures."""
