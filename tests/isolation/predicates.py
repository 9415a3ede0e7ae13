"""Reads a statement with Postgres's own parser and says which of its tables is not tied to the tenant's parameter.

A table is tied when, in every scope it appears in, its `tenant_id` equals `%(tenant_id)s`: said of itself, or through
equalities (joins, correlation) that lead there and that an outer join does not weaken. What is inserted must carry the
parameter, or the `tenant_id` of a tied table.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, JoinType

PARAMETER = re.compile(r"%\((\w+)\)[sbt]")
SCHEMA = "pay_ready"
_READ_SCHEMAS = (SCHEMA, "pay_ready_mart")  # tables, and views on them that are read as if they were tables
_TENANT = 1  # $1 stands for the tenant in what the parser sees
_STATEMENTS = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt)
_PARAM = ""  # the name under which the parameter itself is bound


def untied(statement: str) -> list[str]:
    """Names of tables in the statement whose rows are not held to the tenant; empty is good."""
    numbers: dict[str, int] = {"tenant_id": _TENANT}
    text = PARAMETER.sub(lambda match: f"${numbers.setdefault(match[1], len(numbers) + 1)}", statement).replace("%%", "%")
    return [finding for raw in parse_sql(text) for finding in _statement(raw.stmt, {}, frozenset())]


@dataclass(frozen=True, slots=True)
class _Equality:
    """Two aliases (or the parameter) with equal tenants; only aliases in `binds` are held by it, None means both."""

    left: str
    right: str
    binds: frozenset[str] | None


@dataclass(slots=True)
class _Scope:
    tables: dict[str, str | None] = field(default_factory=dict)  # alias to table of ours; None for anything else
    bound: set[str] = field(default_factory=set)
    equalities: list[_Equality] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    def close(self, outer: Mapping[str, bool]) -> dict[str, bool]:
        """Follow the equalities to the end; which aliases are tied, the outer ones included."""
        tied = {_PARAM, *self.bound, *(alias for alias, is_tied in outer.items() if is_tied and alias not in self.tables)}
        grown = True
        while grown:
            before = len(tied)
            for equality in self.equalities:
                for one, other in ((equality.left, equality.right), (equality.right, equality.left)):
                    if one in tied and (equality.binds is None or other in equality.binds):
                        tied.add(other)
            grown = len(tied) > before
        self.findings += [f"{table} as {alias}" for alias, table in self.tables.items() if table and alias not in tied]
        return {**outer, **{alias: alias in tied for alias in self.tables}}


def _statement(node: Any, outer: Mapping[str, bool], ctes: frozenset[str]) -> list[str]:
    findings: list[str] = []
    if clause := getattr(node, "withClause", None):
        names = frozenset(cte.ctename for cte in clause.ctes)
        for cte in clause.ctes:
            findings += _statement(cte.ctequery, outer, ctes | (names if clause.recursive else frozenset()))
            ctes |= {cte.ctename}
    match node:
        case ast.SelectStmt():
            findings += _select(node, outer, ctes)
        case ast.InsertStmt():
            findings += _insert(node, outer, ctes)
        case ast.UpdateStmt():
            findings += _change(node, node.fromClause, outer, ctes)
        case ast.DeleteStmt():
            findings += _change(node, node.usingClause, outer, ctes)
        case ast.MergeStmt():
            findings.append("merge: not understood here, write insert … on conflict")
        case _:
            findings += [one for inner in _statements_in(node) for one in _statement(inner, outer, ctes)]
    return findings


def _select(node: ast.SelectStmt, outer: Mapping[str, bool], ctes: frozenset[str]) -> list[str]:
    if node.larg:
        return _statement(node.larg, outer, ctes) + _statement(node.rarg, outer, ctes)
    scope = _Scope()
    for item in node.fromClause or ():
        _relations(item, scope, outer, ctes)
    return _finish(scope, node, (node.whereClause,), outer, ctes, skip=("withClause", "fromClause"))


def _change(node: Any, others: Iterable[Any] | None, outer: Mapping[str, bool], ctes: frozenset[str]) -> list[str]:
    scope = _Scope()
    for item in (node.relation, *(others or ())):
        _relations(item, scope, outer, ctes)
    return _finish(scope, node, (node.whereClause,), outer, ctes, skip=("withClause", "fromClause", "usingClause", "relation"))


def _finish(
    scope: _Scope, node: Any, conditions: Iterable[Any], outer: Mapping[str, bool], ctes: frozenset[str], skip: tuple[str, ...]
) -> list[str]:
    for condition in conditions:
        _conditions(condition, scope, None)
    inside = scope.close(outer)
    for name in node:
        if name not in skip:
            for inner in _statements_in(getattr(node, name)):
                scope.findings += _statement(inner, inside, ctes)
    return scope.findings


def _insert(node: ast.InsertStmt, outer: Mapping[str, bool], ctes: frozenset[str]) -> list[str]:
    target = node.relation
    if target.schemaname != SCHEMA:
        return _statement(node.selectStmt, outer, ctes) if node.selectStmt else []
    findings = _statement(node.selectStmt, outer, ctes)
    columns = [column.name for column in node.cols or ()]
    if "tenant_id" not in columns:
        return [*findings, f"{target.relname}: inserted without its tenant"]
    position = columns.index("tenant_id")
    findings += [f"{target.relname}: inserted with {value}" for value in _foreign_values(node.selectStmt, position)]
    if node.onConflictClause:
        alias = target.alias.aliasname if target.alias else target.relname
        inside = {**outer, alias: True, "excluded": True}
        findings += [one for inner in _statements_in(node.onConflictClause) for one in _statement(inner, inside, ctes)]
        inferred = node.onConflictClause.infer
        if inferred and inferred.indexElems and "tenant_id" not in [element.name for element in inferred.indexElems]:
            findings.append(f"{target.relname}: on conflict over a key without its tenant")
    return findings


def _foreign_values(select: ast.SelectStmt, position: int) -> Iterator[str]:
    """Values for `tenant_id` that are neither the parameter nor some table's tenant (each table is tied by itself)."""
    if select.larg:
        yield from _foreign_values(select.larg, position)
        yield from _foreign_values(select.rarg, position)
        return
    values = [row[position] for row in select.valuesLists or ()] or [select.targetList[position].val]
    for value in values:
        if _term(value) is None:
            yield type(value).__name__


def _relations(item: Any, scope: _Scope, outer: Mapping[str, bool], ctes: frozenset[str]) -> frozenset[str]:
    """Take a FROM item into the scope; its aliases."""
    match item:
        case ast.RangeVar():
            alias = item.alias.aliasname if item.alias else item.relname
            scope.tables[alias] = item.relname if item.schemaname in _READ_SCHEMAS else None
            if not item.schemaname and item.relname in ctes:
                scope.bound.add(alias)  # its own tables are tied where it is written
            return frozenset({alias})
        case ast.JoinExpr():
            left = _relations(item.larg, scope, outer, ctes)
            right = _relations(item.rarg, scope, outer, ctes)
            binds = {JoinType.JOIN_INNER: None, JoinType.JOIN_LEFT: right, JoinType.JOIN_RIGHT: left}.get(item.jointype, frozenset[str]())
            if "tenant_id" in [name.sval for name in item.usingClause or ()]:
                scope.equalities += [_Equality(one, other, binds) for one in left for other in right]
            _conditions(item.quals, scope, binds)
            for inner in _statements_in(item.quals):
                scope.findings += _statement(inner, {**outer, **dict.fromkeys(scope.tables, True)}, ctes)
            return left | right
        case ast.RangeSubselect():
            inside = {**outer, **dict.fromkeys(scope.tables, True)} if item.lateral else outer
            scope.findings += _statement(item.subquery, inside, ctes)
            scope.tables[item.alias.aliasname] = None
            scope.bound.add(item.alias.aliasname)
            return frozenset({item.alias.aliasname})
        case _:
            alias = getattr(getattr(item, "alias", None), "aliasname", None)
            if alias:
                scope.tables[alias] = None
            return frozenset({alias} if alias else ())


def _conditions(node: Any, scope: _Scope, binds: frozenset[str] | None) -> None:
    """Equalities of tenants among the AND-ed conditions; what stands under OR or NOT binds nothing."""
    if isinstance(node, ast.BoolExpr) and node.boolop == BoolExprType.AND_EXPR:
        for one in node.args:
            _conditions(one, scope, binds)
    elif isinstance(node, ast.A_Expr) and node.kind == A_Expr_Kind.AEXPR_OP and [name.sval for name in node.name] == ["="]:
        pairs = [(node.lexpr, node.rexpr)]
        if isinstance(node.lexpr, ast.RowExpr) and isinstance(node.rexpr, ast.RowExpr):
            pairs = list(zip(node.lexpr.args, node.rexpr.args, strict=True))
        for left, right in ((_term(one), _term(other)) for one, other in pairs):
            if left is not None and right is not None:
                scope.equalities += [_Equality(one, other, binds) for one in _aliases(left, scope) for other in _aliases(right, scope)]


def _aliases(term: str, scope: _Scope) -> list[str]:
    """An unqualified `tenant_id` is that of the only table of ours, or the one that USING merged."""
    return [alias for alias, table in scope.tables.items() if table] if term == "*" else [term]


def _term(node: Any) -> str | None:
    """The alias whose tenant this is, `*` without an alias, the parameter's name, or None for anything else."""
    match node:
        case ast.TypeCast():
            return _term(node.arg)
        case ast.ParamRef(number=number):
            return _PARAM if number == _TENANT else None
        case ast.ColumnRef(fields=(ast.String(sval=alias), ast.String(sval="tenant_id"))):
            return str(alias)
        case ast.ColumnRef(fields=(ast.String(sval="tenant_id"),)):
            return "*"
        case _:
            return None


def _statements_in(node: Any) -> Iterator[Any]:
    """Statements nested in an expression, not deeper than the first."""
    if isinstance(node, _STATEMENTS):
        yield node
    elif isinstance(node, tuple | list):
        for one in node:
            yield from _statements_in(one)
    elif isinstance(node, ast.Node):
        for name in node:
            yield from _statements_in(getattr(node, name))
