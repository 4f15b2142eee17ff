"""A talk in a terminal, over the house's API alone: the same in the owner's process and in a client's.

On a terminal it is a screen that one can type into while a reply is written; with a pipe it is lines in, lines out.
"""
