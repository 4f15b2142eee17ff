"""Real language models, small enough to be made anew by each run of the tests."""
