"""Makes what the services find in AWS: a queue whose dead letters go to another one, a bucket, the API token.

The emulator runs this whenever it starts. What is there already stays.
"""

import json
import os

import boto3

QUEUE = os.environ["QUEUE_NAME"]
BUCKET = os.environ["S3_BUCKET_NAME"]
REGION = os.environ["AWS_REGION"]


def client(service):
    return boto3.client(service, region_name=REGION)


def make_queue():
    sqs = client("sqs")
    dead = sqs.create_queue(QueueName=f"{QUEUE}-dead", Attributes={"MessageRetentionPeriod": "1209600"})
    named = sqs.get_queue_attributes(QueueUrl=dead["QueueUrl"], AttributeNames=["QueueArn"])
    redrive = {"deadLetterTargetArn": named["Attributes"]["QueueArn"], "maxReceiveCount": "3"}
    sqs.create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "30", "RedrivePolicy": json.dumps(redrive)})


def make_bucket():
    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    blocks = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"]
    s3.put_public_access_block(Bucket=BUCKET, PublicAccessBlockConfiguration=dict.fromkeys(blocks, True))


def make_token():
    name, token = os.environ["SSM_PARAMETER_NAME"], os.environ["API_TOKEN"]
    client("ssm").put_parameter(Name=name, Value=token, Type="SecureString", Overwrite=True)


make_queue()
make_bucket()
make_token()
