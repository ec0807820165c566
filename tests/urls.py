"""What the suite's own requests are answered by."""

import asyncio

from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.urls import include, path

from shared_core import context
from tests.library.models import Book


def show_ids(request):
    return HttpResponse(context.request_id())


def stream(request):
    return StreamingHttpResponse(str(context.request_id()) for _ in range(2))


async def stream_async(request):
    async def chunks():
        yield str(context.request_id())

    return StreamingHttpResponse(chunks())


def download(request):
    return FileResponse(open(__file__, "rb"))  # noqa: PTH123  # closed by Django


def count_books(request):
    return HttpResponse(Book.objects.count())


async def count_books_async(request):
    return HttpResponse(await Book.objects.acount())


def stream_books(request):
    return StreamingHttpResponse(str(Book.objects.count()) for _ in range(3))


def show_user(request):
    return HttpResponse(request.user.get_username())


async def show_user_async(request):
    return HttpResponse((await request.auser()).get_username())


async def fail_async(request):
    raise RuntimeError("broken on purpose")


async def wait(request):
    await asyncio.sleep(60)


def fail(request):
    raise RuntimeError("broken on purpose")


urlpatterns = [
    path("", include("shared_core.urls")),
    path("ids/", show_ids),
    path("items/<int:number>/", lambda request, number: HttpResponse(number)),
    path("stream/", stream),
    path("stream-async/", stream_async),
    path("download/", download),
    path("books/", count_books),
    path("books-async/", count_books_async),
    path("stream-books/", stream_books),
    path("user/", show_user),
    path("user-async/", show_user_async),
    path("fail/", fail),
    path("fail-async/", fail_async),
    path("wait/", wait),
]
