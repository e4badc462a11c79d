"""The words of the field as types.

This room is pure standard library: it knows no file format, no SQL, no HTTP and no LiteLLM.
"""
