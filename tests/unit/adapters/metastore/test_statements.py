import pytest

from shared.adapters.metastore import statements


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes a file of statements, which `load` then reads."""
    monkeypatch.setattr(statements, "_FOLDER", tmp_path)
    statements.load.cache_clear()

    def create(noun, text):
        (tmp_path / f"{noun}.sql").write_text(text)
        return noun

    yield create
    statements.load.cache_clear()


def test_statements_are_found_by_name_without_comments_and_semicolons(write):
    noun = write(
        "n", "-- About n.\n\n-- one --\n-- Says 100 % of it.\nselect 1; -- why\n\n-- two --\n-- Two.\nselect\n  2\n"
    )

    assert statements.load(noun) == {"one": "select 1", "two": "select\n  2"}
    assert statements.nouns() == ("n",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "select 1",
        "select 1\n-- one --\n-- One.\nselect 2",
        "-- one --\nselect 1",
        "-- one --\n-- One.\nselect 1\n-- one --\n-- Again.\nselect 2",
    ],
    ids=["empty", "no header", "text before the first", "no description", "a name twice"],
)
def test_a_file_that_breaks_the_format_is_refused(write, text):
    with pytest.raises(ValueError, match=r"n\.sql"):
        statements.load(write("n", text))
