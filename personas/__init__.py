"""Who the personas are. This floor imports nothing of ours and touches nothing but card files."""
