"""Shadow comparisons: another profile answers a share of the requests once more, unseen, and both answers are compared.

It must not know LiteLLM, HTTP or profile files.
"""
