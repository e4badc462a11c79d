"""Runtime control of which model answers, as a plugin of the LiteLLM proxy.

Importing this package must stay cheap: it must not import LiteLLM, FastAPI or SQLAlchemy.
"""

__version__ = "0.1.0"
