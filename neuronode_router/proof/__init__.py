"""The proof matrix: does every task of every profile get a usable answer from its model group?

It must not know HTTP, LiteLLM, or who changes profiles.
"""
