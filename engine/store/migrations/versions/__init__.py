"""One file per step. A step that has shipped is never changed."""
