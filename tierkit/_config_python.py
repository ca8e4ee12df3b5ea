"""A graph from a Python file: whatever `graph` is when the file has run, but for its ``__main__`` part."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from tierkit import Graph, GraphError

__all__ = ["read_python"]


def read_python(path: Path) -> Graph:
    """The `graph` of a Python file.

    Raises GraphError: the file fails, with the line of it that did, or it holds no graph.
    """
    # Not "__main__": what stands under that condition is for those who run the file itself.
    name = f"tierkit_graph_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise GraphError([f"{path}: this is no Python file: its name must end in .py or .toml"])
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # attrs and pickle look a class's module up by its name
    try:
        with _beside(path):
            spec.loader.exec_module(module)
    except GraphError as error:
        raise GraphError([f"{_place(error, path)}: {line}" for line in error.problems]) from error
    except SystemExit as error:
        what = "the file ends the program: put what runs the graph under if __name__ == '__main__':"
        raise GraphError([f"{_place(error, path)}: {what}"]) from error
    except Exception as error:
        what = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise GraphError([f"{_place(error, path)}: {type(error).__name__}: {what}".removesuffix(": ")]) from error
    return _graph(module, path)


def _graph(module: ModuleType, path: Path) -> Graph:
    graph = getattr(module, "graph", None)
    if isinstance(graph, Graph):
        return graph
    if graph is not None:
        raise GraphError([f"{path}: graph is a {type(graph).__name__}, no Graph: write graph = Graph.of(...)"])
    others = [name for name, value in vars(module).items() if isinstance(value, Graph)]
    if others:
        raise GraphError([f"{path}: there is no `graph`, but {' and '.join(others)}: rename it to graph"])
    raise GraphError([f"{path}: there is no `graph`: write graph = Graph.of(...)"])


@contextmanager
def _beside(path: Path) -> Iterator[None]:
    """Modules beside the file can be imported by it, as when Python runs it."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _place(error: BaseException, path: Path) -> str:
    """The file and the last line of it that the exception has passed."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.filename or path}:{error.lineno}"
    lines = []
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == str(path):
            lines.append(traceback.tb_lineno)
        traceback = traceback.tb_next
    return f"{path}:{lines[-1]}" if lines else str(path)
