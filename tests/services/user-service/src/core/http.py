"""JSON in, JSON out."""

import json

from django.core.exceptions import BadRequest
from django.core.paginator import Paginator
from django.http import JsonResponse

MAX_PAGE_SIZE = 100


def read_form(form_class, request, **arguments):
    """Return the form, filled with the JSON object of the body; BadRequest where that cannot be a filled form."""
    try:
        body = json.loads(request.body)
        json.dumps(body, ensure_ascii=False).encode()  # half a surrogate pair is no text that a database takes
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise BadRequest("The body is not a JSON object.")
    form = form_class(body, **arguments)
    for name, value in body.items():
        if name not in form.fields:
            raise BadRequest(f"There is no field {name[:50]!a}.")
        # A form would take any other value for the text that str() makes of it.
        if not isinstance(value, str | None):
            raise BadRequest(f"{name} is neither a text nor null.")
    return form


def invalid(form):
    """Return the answer to input that ``form`` refuses: 400, and what is wrong with each field."""
    return JsonResponse({"error": "The input is not valid.", "fields": form.errors.get_json_data()}, status=400)


def page(request, rows, show):
    """Return the page of ``rows`` that the query asks for: ``{"count": …, "results": […]}``."""
    try:
        number, size = int(request.GET.get("page", 1)), int(request.GET.get("page_size", 20))
    except ValueError:
        raise BadRequest("page and page_size are whole numbers.") from None
    paginator = Paginator(rows, min(max(size, 1), MAX_PAGE_SIZE))
    results = paginator.page(number).object_list if 1 <= number <= paginator.num_pages else []
    return JsonResponse({"count": paginator.count, "results": [show(row) for row in results]})


def bad_request(request, exception):
    """Answer 400; Django calls this for BadRequest."""
    return JsonResponse({"error": str(exception)}, status=400)


def not_found(request, exception):
    """Answer 404; Django calls this for Http404 and unknown addresses."""
    return JsonResponse({"error": "There is no such thing here."}, status=404)
