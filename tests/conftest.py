"""Options of the suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--draws", type=int, default=100, help="random cases for each layer in the soundness tests"
    )
    parser.addoption(
        "--exports", type=int, default=1, help="random exports of each layer in the soundness tests"
    )
    parser.addoption(
        "--chains", type=int, default=10, help="random trainings that are exported and measured"
    )
    parser.addoption(
        "--prepared", type=int, default=150, help="random images through random exported chains"
    )
    parser.addoption(
        "--tables", type=int, default=6, help="random tables that are learned from and exported"
    )
    parser.addoption("--nets", type=int, default=200, help="random nets in the soundness tests")
    parser.addoption("--mutants", type=int, default=300, help="random changes of shipped specs")
    parser.addoption(
        "--figures", type=int, default=200, help="random losses in the soundness tests of figures"
    )
    parser.addoption("--ways", type=int, default=6, help="random data sets read in every way")
    parser.addoption("--kills", type=int, default=3, help="kills of a writer of a cache file")
    parser.addoption(
        "--damages", type=int, default=60, help="random damages of each format of array files"
    )


@pytest.fixture(scope="session")
def damages(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--damages")
    return found


@pytest.fixture(scope="session")
def draws(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--draws")
    return found


@pytest.fixture(scope="session")
def exports(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--exports")
    return found


@pytest.fixture(scope="session")
def mutants(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--mutants")
    return found


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--figures")
    return found
