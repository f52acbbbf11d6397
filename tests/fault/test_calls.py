"""One call fails in a complete run: a sample of every class. `make fault FAULT_FULL=1` does them all."""

import os
import subprocess
import unittest

import campaign
import scene
import sealing
import table
from scene import FAULT, harness
from preload import table as calls

JOBS = 2
SEALS = 100
LAST = {"run": 80, "seal": 30}     # allocations

# Imports of decant that no fault is made of: they cannot fail, or end things.
CANNOT_FAIL = set("""
ASN1_STRING_get0_data ASN1_STRING_length BIO_s_mem BN_cmp BN_is_negative BN_is_odd BN_is_one BN_is_word BN_num_bits
CRYPTO_memcmp EVP_CIPHER_CTX_set_flags OBJ_nid2sn OPENSSL_sk_num OPENSSL_sk_value PEM_def_callback X509_EXTENSION_get_data
X509_EXTENSION_get_object X509_NAME_cmp X509_STORE_CTX_get0_param X509_STORE_set_flags X509_get0_notAfter X509_get0_notBefore X509_STORE_CTX_get_error X509_STORE_CTX_get_error_depth
X509_VERIFY_PARAM_set_auth_level X509_VERIFY_PARAM_set_depth X509_VERIFY_PARAM_set_hostflags X509_VERIFY_PARAM_set_time
X509_check_ca X509_cmp X509_get_default_cert_dir X509_get_default_cert_file X509_get_ext X509_get_ext_count
X509_get_issuer_name X509_get_subject_name X509_verify_cert_error_string
XML_ErrorString XML_GetCurrentByteIndex XML_GetErrorCode XML_SetCharacterDataHandler XML_SetElementHandler
XML_SetStartDoctypeDeclHandler XML_SetUserData XML_StopParser
cJSON_Compare cJSON_InitHooks
curl_easy_cleanup curl_easy_reset curl_easy_strerror curl_getdate curl_multi_remove_handle curl_multi_cleanup
inflateEnd deflateEnd
""".split())
OF_A_LIBRARY = ("ASN1_", "BIO_", "BN_", "CMS_", "CRYPTO_", "ECDSA_", "EC_", "EVP_", "OBJ_", "OPENSSL_", "OSSL_", "PEM_", "PKCS",
                "RAND_", "RSA_", "X509_", "d2i_", "i2d_", "XML_", "cJSON_", "curl_", "inflate", "deflate")
ENDS_OR_CONSTANT = ("_free", "_free_all", "_Delete", "_pop_free", "_ParserFree")


def imports():
    told = subprocess.run(["nm", "-D", "--undefined-only", harness.DECANT], capture_output=True, text=True, check=True)
    return {line.split()[-1].split("@")[0] for line in told.stdout.splitlines()}


def can_fail(name):
    if not name.startswith(OF_A_LIBRARY) or name.endswith(ENDS_OR_CONSTANT) or name in CANNOT_FAIL:
        return False
    return not name.startswith(("EVP_aes_", "EVP_sha", "cJSON_Is", "cJSON_Get"))     # constants and questions


class Table(unittest.TestCase):
    def test_every_library_call_is_in_it(self):
        """A new call of a library comes with a row in calls.h, or is named above as one that cannot fail."""
        known = {name for _, name in calls()}
        self.assertEqual(sorted(name for name in imports() if can_fail(name) and name not in known), [])

    def test_no_row_twice(self):
        names = [name for _, name in calls()]
        self.assertEqual(len(names), len(set(names)))


@unittest.skipUnless(os.path.exists(FAULT), f"{FAULT} is not built: fault injection is for x86-64 only")
class OneCallFails(unittest.TestCase):
    def test_a_sample_of_seal(self):
        dice = table.seed()
        tally = campaign.Tally()
        runs = campaign.Campaign(JOBS, tally, kind=sealing.Lane)
        self.addCleanup(runs.close)
        runs.each(dice.sample(campaign.sample(runs.baseline(), runs.groups, dice), SEALS))
        campaign.show(tally)
        self.assertEqual(tally.failures, [])
        self.assertGreater(sum(failed - codes["0"] for _, failed, codes in tally.classes().values()), SEALS // 10)

    def test_a_sample(self):
        dice = table.seed()
        tally = campaign.Tally()
        runs = campaign.Campaign(JOBS, tally)
        self.addCleanup(runs.close)
        counts = runs.baseline()
        runs.each(campaign.sample(counts, runs.groups, dice))
        campaign.show(tally)
        self.assertEqual(tally.failures, [])
        classes = tally.classes()
        self.assertEqual(set(classes), {"memory", "openssl", "curl", "parsers", "files", "system"})
        for group, (_, failed, codes) in classes.items():
            with self.subTest(group=group):                         # faults that do nothing would prove nothing
                self.assertGreater(failed - codes["0"], 2)

    def test_no_memory_once_all_is_published(self):
        """What is left then is to say so: what was done stays done, exit code 0 and a warning."""
        for kind in (scene.Lane, sealing.Lane):
            with self.subTest(kind.command):
                tally = campaign.Tally()
                runs = campaign.Campaign(JOBS, tally, kind=kind)
                self.addCleanup(runs.close)
                count = runs.baseline()["malloc"]
                runs.each([("malloc", number) for number in range(count - LAST[kind.command], count + 5)])
                self.assertEqual(tally.failures, [])
                self.assertGreater(tally.classes()["memory"][2]["0"], 0)


if __name__ == "__main__":
    unittest.main()
