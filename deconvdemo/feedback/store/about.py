"""What a database says of itself: one row, whose columns are set once (`recall`) or each time anew (`note`)."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Column, select, update

from deconvdemo.feedback.store.refusals import refusals
from deconvdemo.feedback.store.storage import Storage
from deconvdemo.feedback.store.tables import about


def told(storage: Storage, column: Column) -> str | None:
    """What a column of `about` has."""
    with refusals("the feedback database cannot be used"), storage.reading() as connection:
        return connection.execute(select(column)).scalar_one()


def note(storage: Storage, column: Column, value: str) -> None:
    with refusals("the feedback database cannot be used"), storage.writing() as connection:
        connection.execute(update(about).values({column: value}))


def recall(storage: Storage, column: Column, make: Callable[[], str]) -> str:
    """What `make` gives the first time that anybody asks, and the same ever after."""
    value = told(storage, column)
    if value is None:
        with refusals("the feedback database cannot be used"), storage.writing() as connection:
            connection.execute(update(about).where(column.is_(None)).values({column: make()}))
            value = connection.execute(select(column)).scalar_one()
    return value
