"""Models, plans and recordings in words: text, Markdown, citations."""
