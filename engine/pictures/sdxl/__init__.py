"""Pictures by Stable Diffusion in this process: what it is told, what it is made of, and how it runs."""
