from shared_core.models import BaseModel


class Member(BaseModel):
    pass
