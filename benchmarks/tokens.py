"""How good the estimate of tokens is: beside the counts of six tokenizers, for every kind of text of the test samples.

    python -m benchmarks.tokens

The counts are stored with the samples (tests/testdata/tokens/samples.json): of tiktoken's cl100k and o200k, Llama 3,
Qwen, DeepSeek and Mistral's Tekken, as their publishers' packages ship them. Printed for each kind are characters, the
largest count, and what the estimate is of the largest, of the middle and of the smallest count. The weights were not
fitted to the kinds that are held out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from neuronode_router.routing.tokens import estimate

SAMPLES = Path(__file__).parents[1] / "tests" / "testdata" / "tokens" / "samples.json"


def main() -> None:
    """Print a line for each kind, and the extremes."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    print(
        f"{'kind':>34}{'characters':>12}{'largest':>9}{'estimate':>10}{'of largest':>12}{'middle':>8}{'least':>7}"
    )
    shares = []
    for kind, sample in json.loads(SAMPLES.read_text(encoding="utf-8")).items():
        counts, said = sorted(sample["tokens"].values()), estimate([sample["text"]])
        shares.append(said / counts[-1])
        of_middle, of_least = said / counts[len(counts) // 2], said / counts[0]
        print(
            f"{kind:>34}{len(sample['text']):>12}{counts[-1]:>9}{said:>10}{shares[-1]:>12.2f}{of_middle:>8.2f}"
            f"{of_least:>7.2f}"
        )
    mean = sum(shares) / len(shares)
    print(f"of the largest count: least {min(shares):.2f}, mean {mean:.2f}, most {max(shares):.2f}")


if __name__ == "__main__":
    main()
