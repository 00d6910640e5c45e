"""What a table declaration is: plain values, without Spark."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """One column.

    Parameters
    ----------
    name : str
        snake_case, unit last (``start_s``, ``size_bytes``).
    type : str
        Spark SQL type, such as ``STRING`` or ``ARRAY<INT>``.
    comment : str
        What it holds, for people who read SQL.
    nullable : bool, default True
        Whether it may be empty.
    """

    name: str
    type: str
    comment: str
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """One Delta table.

    Parameters
    ----------
    name : str
        Plural noun.
    comment : str
        One sentence.
    key : tuple of str
        Columns that identify a row; the writer keeps them unique.
    columns : tuple of Column
        In the order of the table.
    constraints : dict of str to str
        CHECK constraints by name. Delta's CHECK rejects NULL, so that a column which
        may be empty says ``x IS NULL OR ...``.
    partition_by : tuple of str
        Columns of low cardinality that readers always filter by.
    skip_by : tuple of str
        Columns whose ranges Delta notes for each file, so that readers who filter by
        them skip files; all where empty. Ranges of long text that nobody filters by
        take half the time of a large write.
    evolves : bool
        Whether a writer may add columns (``layer_6`` of a deeper network).
    """

    name: str
    comment: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    constraints: dict[str, str] = field(default_factory=dict)
    partition_by: tuple[str, ...] = ()
    skip_by: tuple[str, ...] = ()
    evolves: bool = False

    @property
    def ddl(self) -> str:
        """Schema as a Spark DDL string."""
        return ", ".join(
            f"{c.name} {c.type}" + ("" if c.nullable else " NOT NULL")
            for c in self.columns
        )

    @property
    def column_names(self) -> list[str]:
        """Names of the columns in order."""
        return [column.name for column in self.columns]
