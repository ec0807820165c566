"""Users and departments over HTTP."""

import logging

from core.http import invalid, page, read_form
from django.db import IntegrityError, transaction
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_http_methods, require_POST

from apps.users.forms import DepartmentForm, UserForm
from apps.users.models import Department, User
from shared_core.models import RestoreConflictError

logger = logging.getLogger(__name__)


def show(user):
    return {
        "id": user.pk,
        "email": user.email,
        "name": user.name,
        "department": user.department_id,
        "is_active": user.is_active,
        "created_at": user.created_at,
    }


def show_department(department):
    return {"id": department.pk, "name": department.name}


@require_http_methods(["GET", "POST"])
def users(request):
    if request.method == "GET":
        return page(request, User.objects.order_by("pk"), show)
    form = read_form(UserForm, request)
    if form.has_error("email", code="unique"):
        return taken()
    if not form.is_valid():
        return invalid(form)
    try:
        with transaction.atomic():
            user = User.objects.create_user(**form.cleaned_data)
    except IntegrityError:  # by somebody at the same moment
        return taken()
    logger.info("User created", extra={"user_id": user.pk})
    return JsonResponse(show(user), status=201)


@require_http_methods(["GET", "DELETE"])
def user(request, pk):
    found = get_object_or_404(User, pk=pk)
    if request.method == "DELETE":
        found.delete()
        return HttpResponse(status=204)
    return JsonResponse(show(found))


@require_POST
def deactivate(request, pk):
    found = get_object_or_404(User, pk=pk)
    found.is_active = False
    found.save(update_fields=["is_active", "updated_at"])
    logger.info("User deactivated", extra={"user_id": pk})
    return JsonResponse(show(found))


@require_POST
def restore(request, pk):
    found = get_object_or_404(User.all_objects, pk=pk)
    try:
        found.restore()
    except RestoreConflictError:
        return taken()
    return JsonResponse(show(found))


@require_http_methods(["GET", "POST"])
def departments(request):
    if request.method == "GET":
        return page(request, Department.objects.order_by("name"), show_department)
    form = read_form(DepartmentForm, request)
    if not form.is_valid():
        return invalid(form)
    return JsonResponse(show_department(form.save()), status=201)


def taken():
    return JsonResponse({"error": "Another user has this e-mail address."}, status=409)
