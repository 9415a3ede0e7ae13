"""The coaching report as JSON knows it, with keys that stay. Every text of others is plain (see `safe_text`)."""

from pay_ready.agent.coaching.conversations import Quote
from pay_ready.agent.coaching.findings import Finding
from pay_ready.agent.coaching.formulas import MEASURES
from pay_ready.agent.coaching.objections import Objection
from pay_ready.agent.coaching.report import CardAverage, CoachingReport, Row
from pay_ready.agent.safe_text import plain


def as_json(report: CoachingReport) -> dict[str, object]:
    """The report as JSON knows it, with keys that stay; figures in the units of `measures`, times in ISO 8601."""
    request = report.request
    return {
        "rep": plain(request.rep.name),
        "rep_ids": sorted(map(str, request.rep.ids)),
        "period": {"start": request.since.isoformat(), "end": request.until.isoformat()},
        "previous_period": {"start": request.previous_since.isoformat(), "end": request.since.isoformat()},
        "time_zone": str(request.zone),
        "measures": {
            each.name: {
                "value": each.value,
                "conversations": each.conversations,
                "previous": each.previous,
                "previous_conversations": each.previous_conversations,
                "change": each.change,
                "trend": each.trend,
                "unit": MEASURES[each.name].unit,
                "formula": MEASURES[each.name].formula,
            }
            for each in report.averages
        },
        "conversations": [_row_json(row) for row in report.rows],
        "sentiment": {
            "scored": report.sentiment.scored,
            "mean": report.sentiment.mean,
            "worst_tenth": report.sentiment.worst_tenth,
            "rep_mean": report.sentiment.rep_mean,
            "worst": [{"sentiment": score, "quote": quote_json(each)} for score, each in report.sentiment.worst],
            "best": [{"sentiment": score, "quote": quote_json(each)} for score, each in report.sentiment.best],
        },
        "objections": [_objection_json(each) for each in report.objections],
        "objection_counts": {kind: {"now": now, "previous": before} for kind, (now, before) in report.objection_counts.items()},
        "wins": [_finding_json(each) for each in report.wins],
        "focus": [_finding_json(each) for each in report.focus],
        "scorecards": [_card_json(each) for each in report.scorecards],
        "notes": [plain(note) for note in report.notes],
    }


def quote_json(quote: Quote) -> dict[str, object]:
    """A quote as JSON knows it."""
    return {
        "interaction_id": str(quote.interaction_id),
        "occurred_at": quote.occurred_at.isoformat(),
        "source": plain(quote.source),
        "type": quote.interaction_type,
        "turn": quote.turn_no,
        "speaker": plain(quote.speaker),
        "side": quote.side,
        "start_s": quote.start_s,
        "end_s": quote.end_s,
        "time_code": quote.time_code,
        "text": plain(quote.text),
    }


def _row_json(row: Row) -> dict[str, object]:
    return {
        "conversation_id": plain(row.conversation_id),
        "occurred_at": row.occurred_at.isoformat(),
        "source": plain(row.source),
        "type": row.interaction_type,
        "subject": plain(row.subject),
        "basis": row.basis,
        "length_s": row.length_s,
        "figures": dict(row.figures),
        "scores": dict(row.scores),
        "objections": row.objections,
        "notes": [plain(note) for note in row.notes],
    }


def _objection_json(each: Objection) -> dict[str, object]:
    return {
        "conversation_id": plain(each.conversation_id),
        "kind": each.kind,
        "quote": quote_json(each.quote),
        "answer": quote_json(each.answer) if each.answer else None,
        "acknowledged": each.is_acknowledged,
        "question_asked": each.is_asked_about,
        "answer_words": each.answer_words,
        "answer_s": each.answer_s,
        "pause_s": each.pause_s,
        "outcome": each.outcome,
        "settled_by": quote_json(each.settled_by) if each.settled_by else None,
    }


def _finding_json(each: Finding) -> dict[str, object]:
    return {
        "id": each.finding_id,
        "title": plain(each.title),
        "says": plain(each.says),
        "advice": plain(each.advice),
        "reference": plain(each.reference),
        "value": each.value,
        "quotes": [quote_json(quote) for quote in each.quotes],
    }


def _card_json(each: CardAverage) -> dict[str, object]:
    return {
        "id": each.card.scorecard_id,
        "title": plain(each.card.title),
        "conversations": each.conversations,
        "score": each.score,
        "previous": each.previous,
        "questions": [
            {
                "id": question.question_id,
                "text": plain(question.text),
                "weight": question.weight,
                "yes": each.yes_shares[question.question_id],
            }
            for question in each.card.questions
        ],
    }
