"""Who belongs to whom, best for all together and not first come, first served."""

import numpy as np
from numpy.typing import NDArray


def best_pairs(worth: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Choose the pairs (row, column) whose worth adds up to the most; each row and column once at most.

    `worth` has shape (rows, columns), float64; what is not above 0 is never paired (-inf is allowed, NaN and inf are
    not). Exact (shortest augmenting paths, as in the Hungarian method): the time grows with the cube of the size.
    """
    if worth.shape[0] > worth.shape[1]:
        return sorted((row, column) for column, row in best_pairs(worth.T))
    costs = -np.maximum(worth, 0.0)
    row_of = _cheapest(costs)
    return sorted((int(row), column) for column, row in enumerate(row_of) if row >= 0 and worth[row, column] > 0)


def _cheapest(costs: NDArray[np.float64]) -> NDArray[np.intp]:
    """Give every row a column of its own at least total cost; return the row of each column, -1 for none.

    `costs` has shape (rows, columns) with rows <= columns.
    """
    rows, columns = costs.shape
    row_of = np.full(columns, -1, dtype=np.intp)
    wanted = costs.argmin(axis=1) if columns else row_of
    if len(set(wanted.tolist())) == rows:
        # No two rows want the same column: nearly every frame of nearly every film.
        row_of[wanted] = np.arange(rows)
        return row_of
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    for start in range(rows):
        row = start
        nearest, came_from = np.full(columns, np.inf), np.full(columns, -1, dtype=np.intp)
        done = np.zeros(columns, dtype=bool)
        column = -1
        while row >= 0:
            # One more column is reached at the least extra cost, until one is free.
            through = costs[row] - row_price[row] - column_price
            closer = ~done & (through < nearest)
            nearest[closer], came_from[closer] = through[closer], column
            column = int(np.argmin(np.where(done, np.inf, nearest)))
            step = nearest[column]
            row_price[start] += step
            row_price[row_of[done]] += step
            column_price[done] -= step
            nearest[~done] -= step
            done[column] = True
            row = int(row_of[column])
        while column >= 0:
            before = int(came_from[column])
            row_of[column] = row_of[before] if before >= 0 else start
            column = before
    return row_of
