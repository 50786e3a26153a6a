"""Letters read wrongly: edit distance of each page's NAME.txt to its truth.txt, over all pages."""
import pathlib
import sys


def distance(read, truth):
    row = list(range(len(truth) + 1))
    for i, a in enumerate(read, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(truth, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]


def words(path):
    return " ".join(path.read_text().split())


pages = [page for page in pathlib.Path(sys.argv[1]).iterdir() if page.is_dir()]
letters = sum(len(words(page / "truth.txt")) for page in pages)
for name in sys.argv[2:]:
    wrong = sum(distance(words(page / f"{name}.txt"), words(page / "truth.txt")) for page in pages)
    print(f"{name:24} {100 * wrong / letters:5.2f} % of {letters} letters")
