set positional-arguments

# List the targets.
default:
    @just --list

# Rewrite the code in the project's format and sort its imports.
fmt:
    ruff check --select I --fix
    ruff format

# Everything that reads the code without running it: format, lint, types, arrows.
check:
    ruff format --check
    ruff check
    mypy
    lint-imports

# The quick tests; arguments go to pytest.
test *arguments:
    pytest "$@"

# All tests: the slow ones too, and properties on more examples.
slow *arguments:
    pytest --slow "$@"

# Write anew the pages and the picture that follow from the code.
pages:
    python scripts/draw_architecture.py
    python scripts/write_cli_page.py
    python scripts/write_recipe_pages.py
    python scripts/write_settings_page.py

# Collect the messages and the help into the Korean catalogue, and compile it.
catalogue:
    python scripts/catalogue.py

# Build the site of docs/ into site/.
docs:
    NO_MKDOCS_2_WARNING=1 mkdocs build --strict --clean

# Compute a study (the embedded one if none is named) and write its report.
run *arguments:
    kollama2 run "$@"

# Remove what tests and linters leave behind; stores of studies stay.
clean:
    rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build dist site
    find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
