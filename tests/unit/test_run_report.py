"""The figures of a run: equations, volumes, watermarks, times, and the column that keeps them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pay_ready.cli.output import as_plain
from pay_ready.cli.run_report import steps_line, with_readable_watermarks
from pay_ready.db.volume import StreamSize
from pay_ready.errors import ContractError, CountError, PartialError
from pay_ready.model.ids import RunId, SourceId
from pay_ready.pipeline.land.check import require_all_accounted
from pay_ready.pipeline.land.findings import JobReport, StepClock
from pay_ready.pipeline.land.report import StreamReport, SyncReport, Unbelieved, require_landing_equation, volume_of
from pay_ready.pipeline.land.write import ShrinkGuard
from pay_ready.pipeline.run_column import read_report, stored, with_step
from pay_ready.pipeline.volume import doubts_of, judge
from pay_ready.pipeline.watermarks import HIDDEN, readable_watermark
from pay_ready.sources.cursors import cursor_text
from pay_ready.sources.outcome import RunOutcome
from pay_ready.sources.protocol import StreamDescriptor

RUN = RunId(UUID(int=7))
PEOPLE = StreamReport(
    stream="people", status="complete", emitted=10, landed=4, unchanged=3, superseded=1, deleted=1, quarantined=1, tombstoned=0,
    watermark_before="sann@customer.example", watermark_after="szoe@customer.example", flagged=2, volume=volume_of(10, (9, 11, 30)),
)  # fmt: skip
REPORT = SyncReport(
    run_id=RUN, source="crm", status="partial", seconds=1.5, attempts=2, streams=(PEOPLE,), notes=("why",), remarks=("by the way",),
    seconds_by_step={"read": 1.0, "write": 0.7}, schema_changes={"people": ("age: integer, was text",)},
    unbelieved=(Unbelieved(stream="people", live=300, gone=200, reason="shrink"),),
    job=JobReport(job_id=4711, connection_id="c-1", outcome="succeeded", is_adopted=True, attempts=2, rows_synced=10),
)  # fmt: skip


class TestColumn:
    """sync_runs.report."""

    def test_what_is_stored_is_read(self) -> None:
        """Everything but the watermarks, in the newest version; as JSON, which is what the column holds."""
        column = json.loads(json.dumps(stored(REPORT)))
        found = read_report(column)
        assert column["schema_version"] == found.schema_version == 2
        assert as_plain(found) | {"streams": []} == column | {"streams": []}
        assert (found.streams[0].flagged, found.streams[0].volume and found.streams[0].volume.median) == (2, 11.0)
        assert (found.job and found.job.job_id, found.unbelieved[0].gone) == (4711, 200)
        assert "customer.example" not in json.dumps(column)

    def test_a_report_of_version_1_is_read(self) -> None:
        """As it was written before volumes and times; what it does not say is empty."""
        stream = dict.fromkeys(("emitted", "landed", "unchanged", "superseded", "deleted", "quarantined", "tombstoned"), 1)
        column = {"schema_version": 1, "seconds": 2.5, "attempts": 3, "streams": [{"stream": "a", "status": "complete", **stream}],
                  "notes": ["n"]}  # fmt: skip
        found = read_report(column)
        assert (found.schema_version, found.seconds, found.attempts, found.notes) == (2, 2.5, 3, ("n",))
        assert (found.streams[0].stream, found.streams[0].tombstoned, found.streams[0].volume, found.job) == ("a", 1, None, None)
        assert read_report(with_step(found, "stage", 0.25).model_dump(mode="json")).seconds_by_step == {"stage": 0.25}

    @pytest.mark.parametrize("column", [{}, {"schema_version": 9}, {"schema_version": 1}, {"schema_version": 2, "seconds": "x"}])
    def test_what_has_no_known_shape_is_refused(self, column: Mapping[str, Any]) -> None:
        """Not read by half."""
        with pytest.raises(ContractError):
            read_report(column)

    def test_many_schema_changes_are_kept_in_part(self) -> None:
        """The column's size has a bound, and the report says how many it left out."""
        many = replace(REPORT, schema_changes={"people": tuple(f"field {number}" for number in range(2_000))})
        lines = read_report(stored(many)).schema_changes["people"]
        assert (len(lines), lines[-1]) == (101, "and 1900 more")


class TestEquations:
    """Nothing read may be missing in what was landed."""

    @pytest.mark.parametrize("off", ["emitted", "landed", "unchanged", "superseded", "deleted", "quarantined"])
    def test_a_count_that_is_off_is_said(self, off: str) -> None:
        """emitted = landed + unchanged + superseded + deleted + quarantined."""
        require_landing_equation(RUN, [PEOPLE])
        with pytest.raises(CountError, match=rf"do not add up - run={RUN}, stream=people") as refused:
            require_landing_equation(RUN, [PEOPLE, replace(PEOPLE, **{off: getattr(PEOPLE, off) + 1})])
        assert refused.value.exit_code == 7

    @pytest.mark.parametrize(
        ("records", "unreadable", "after", "named"),
        [
            ({"people": 5}, 0, {"people": 5 + 2}, None),
            ({"people": 5, "calls": 0}, 0, {"people": 5 + 2}, None),
            ({"people": 5}, 0, {"people": 4 + 2}, "people"),
            ({"people": 5}, 0, {"people": 6 + 2}, "people"),
            ({"people": 5}, 0, {"people": 2}, "people"),
            ({"people": 5, "calls": 3}, 0, {"people": 5 + 2, "calls": 2}, "calls"),
            ({"people": 5, "calls": 3}, 0, {"people": 6 + 2, "calls": 2}, "calls"),
            ({"people": 5}, 2, {"people": 6 + 2, "(unknown)": 1}, None),
            ({"people": 5}, 2, {"people": 5 + 2}, "(unknown)"),
            ({"people": 5, "calls": 1}, 1, {"people": 5 + 2, "calls": 1}, "(unknown)"),
            ({"people": 5, "calls": 3}, 1, {"people": 7 + 2, "calls": 2}, "calls"),
            ({}, 1, {"people": 2}, "(unknown)"),
            ({"": 3}, 0, {"people": 2, "(unknown)": 3}, None),
        ],
    )  # fmt: skip
    def test_what_was_read_is_what_was_accounted_for(
        self, records: Mapping[str, int], unreadable: int, after: Mapping[str, int], named: str | None
    ) -> None:
        """By stream, beyond what earlier attempts brought (two people); lines that nobody can read may be of any stream."""
        counted = {StreamDescriptor(name): count for name, count in records.items()}
        outcome = RunOutcome(connector="x", exit_code=0, records=counted, unreadable_records=unreadable)
        if named is None:
            require_all_accounted(RUN, outcome, {"people": 2}, after)
            return
        with pytest.raises(CountError, match="records that were read and records that were landed differ") as refused:
            require_all_accounted(RUN, outcome, {"people": 2}, after)
        assert (refused.value.where["stream"], refused.value.where["unreadable"]) == (named, unreadable)

    def test_streams_are_told_apart_by_namespace(self) -> None:
        """The name that landing uses."""
        outcome = RunOutcome(connector="x", exit_code=0, records={StreamDescriptor("a", "n"): 1, StreamDescriptor("a"): 2})
        require_all_accounted(RUN, outcome, {}, {"n.a": 1, "a": 2})
        with pytest.raises(CountError):
            require_all_accounted(RUN, outcome, {}, {"n.a": 2, "a": 1})

    def test_nothing_read_and_nothing_landed_is_right(self) -> None:
        """No stream at all."""
        require_all_accounted(RUN, RunOutcome(connector="x", exit_code=0), {}, {})
        with pytest.raises(CountError):
            require_all_accounted(RUN, RunOutcome(connector="x", exit_code=0, unreadable_records=1), {}, {})


@pytest.mark.parametrize(
    ("emitted", "earlier", "word"),
    [
        (0, (), "first"),
        (0, (1000,), "usual"),
        (0, (1000, 5), "usual"),
        (49, (100, 120, 1000), "low"),
        (50, (100, 120, 1000), "usual"),
        (0, (0, 0, 0), "usual"),
        (100, (0, 0, 0), "usual"),
        (101, (0, 0, 0), "high"),
        (2000, (1, 10, 1000), "usual"),
        (2001, (1, 10, 1000), "high"),
    ],
)
def test_a_volume_is_called_by_what_came_before(emitted: int, earlier: tuple[int, ...], word: str) -> None:
    """Far below the least or far above the most, once three runs say what is usual."""
    found = volume_of(emitted, earlier)
    assert (found.word, found.runs) == (word, len(earlier))
    if earlier:
        assert found.least is not None
        assert found.least <= (found.median or 0) <= (found.most or 0)


class TestGuard:
    """What holds a publish back."""

    @pytest.mark.parametrize(
        ("before", "now", "accept", "doubted", "held"),
        [
            (None, 0, False, False, False),  # a first load
            (20, 0, False, False, False),
            (199, 0, False, True, False),
            (200, 0, False, False, True),
            (200, 180, False, False, False),
            (200, 179, False, False, True),
            (1000, 0, True, False, False),
            (1000, 1000, False, True, True),
            (1000, 1000, True, True, False),
            (1000, 2000, False, False, False),
        ],
    )  # fmt: skip
    def test_floor_percent_and_doubt(self, before: int | None, now: int, accept: bool, doubted: bool, held: bool) -> None:
        """From 200 rows up, more than ten percent gone, or a refresh that was not believed; never what was accepted."""
        size = StreamSize(source_id=SourceId(UUID(int=1)), source="crm", stream="people", run_id=None, before=before, now=now, commit_seq=9)
        doubts = doubts_of({"crm": [Unbelieved(stream="people", live=1000, gone=999, reason="shrink")]}) if doubted else {}
        found = judge([size], ShrinkGuard(accept=accept), doubts)
        assert bool(found) == held
        if held and doubted:
            assert (found[0].reason, found[0].now) == ("refresh_not_believed", 1)

    def test_records_that_nobody_could_read_hold_nothing_back(self) -> None:
        """Then rows only may be gone: they were kept, and the run is partial; that is no loss of volume."""
        assert doubts_of({"crm": [Unbelieved(stream="people", live=1000, gone=999, reason="unreadable")]}) == {}

    def test_the_greatest_loss_comes_first(self) -> None:
        """It is the one that the error names."""
        sizes = [
            StreamSize(source_id=SourceId(UUID(int=1)), source="crm", stream=stream, run_id=None, before=before, now=0, commit_seq=9)
            for stream, before in (("a", 300), ("b", 5000), ("c", 300))
        ]
        assert [each.size.stream for each in judge(sizes, ShrinkGuard(), {})] == ["b", "a", "c"]


class TestWatermarks:
    """Sortable text, turned back."""

    @given(
        st.integers(-(10**39), 10**39) | st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12)
    )
    def test_numbers_are_what_they_were(self, number: int | Decimal) -> None:
        """Exactly, whatever their size and sign."""
        assert Decimal(readable_watermark(cursor_text(number).decode())) == Decimal(number)

    @given(st.datetimes())
    def test_times_are_what_they_were(self, moment: Any) -> None:
        """To the microsecond."""
        from datetime import datetime

        shown = readable_watermark(cursor_text(moment.isoformat()).decode())
        assert datetime.fromisoformat(shown).replace(tzinfo=None) == moment

    @pytest.mark.parametrize("text", ["ann@customer.example", "npx", "n", "t2026", "tomorrow", "000000000012"])
    def test_texts_are_hidden_unless_asked_for(self, text: str) -> None:
        """Whatever looks like neither number nor time may be about somebody."""
        for cursor in (text, cursor_text(text).decode()):
            if readable_watermark(cursor) != HIDDEN:
                assert text.isdigit()
                continue
            assert readable_watermark(cursor, show_text=True) == cursor.removeprefix("s")
        assert readable_watermark("") == ""

    def test_a_report_for_programs_hides_them_too(self) -> None:
        """JSON goes to logs as easily as text does."""
        plain = with_readable_watermarks(as_plain(REPORT))
        assert "customer.example" not in json.dumps(plain)
        assert "zoe@customer.example" in json.dumps(with_readable_watermarks(as_plain(REPORT), show_text=True))


class TestClock:
    """Seconds by step."""

    def test_blocks_and_waits_add_up(self) -> None:
        """Time inside a block, also one that fails, and time spent in waiting for items; nothing of what is done with them."""
        ticks = iter(range(100))
        clock = StepClock(clock=lambda: float(next(ticks)))
        for _ in clock.waited("read", [1, 2]):
            with clock.measured("write"):
                pass
        with pytest.raises(PartialError), clock.measured("write"):
            raise PartialError("x")
        assert clock.seconds == {"read": 3.0, "write": 3.0}

    def test_steps_are_said_in_their_order(self) -> None:
        """As they begin, whatever order the column keeps them in; others come last."""
        line = steps_line(2.0, {"index": 4.0, "stage": 3.0, "plan": 1.0, "read": 2.0, "trigger": 0.5})
        assert line == "2.0 s (trigger 0.5 s, plan 1.0 s, read 2.0 s, stage 3.0 s, index 4.0 s)"


def test_an_error_in_a_report_is_an_object_for_programs() -> None:
    """Its class, its one line and its exit code: `run etl --json` of a failed source is JSON, too."""
    plain = as_plain(replace(REPORT, error=CountError("wrong", "look", run=RUN)))
    assert json.loads(json.dumps(plain))["error"] == {"class": "CountError", "message": f"wrong - run={RUN} - look", "exit_code": 7}
