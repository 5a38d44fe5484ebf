"""What people look at: views of results.jsonl, and nothing that is not in it."""
