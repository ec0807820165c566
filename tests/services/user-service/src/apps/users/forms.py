"""What a caller may write."""

from django import forms

from apps.users.models import Department, User


class DepartmentForm(forms.ModelForm):
    class Meta:
        model = Department
        fields = ["name"]


class UserForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["email", "name", "department"]
