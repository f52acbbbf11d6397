/*
 * The calls that can be made to fail, by class: C(CLASS, NAME, RESULT, ERRNO) with what the failing
 * call returns. tests/fault/test_calls.py holds the list against what decant imports.
 *
 * Classes: memory, files and system are counted whoever calls (the libraries, too); openssl, curl
 * and parsers only where decant itself calls.
 */
/* clang-format off */
#define CALLS(C) \
    C(MEMORY, malloc, 0, ENOMEM) C(MEMORY, calloc, 0, ENOMEM) C(MEMORY, realloc, 0, ENOMEM) \
    C(MEMORY, reallocarray, 0, ENOMEM) C(MEMORY, posix_memalign, ENOMEM, 0) \
    C(MEMORY, aligned_alloc, 0, ENOMEM) \
    \
    C(OPENSSL, BIO_ctrl, 0, 0) C(OPENSSL, BIO_new, 0, 0) C(OPENSSL, BIO_new_mem_buf, 0, 0) \
    C(OPENSSL, BN_CTX_new, 0, 0) C(OPENSSL, BN_bin2bn, 0, 0) C(OPENSSL, BN_bn2bin, 0, 0) \
    C(OPENSSL, BN_bn2binpad, -1, 0) \
    C(OPENSSL, BN_div, 0, 0) C(OPENSSL, BN_dup, 0, 0) C(OPENSSL, BN_lebin2bn, 0, 0) \
    C(OPENSSL, BN_mod_exp, 0, 0) C(OPENSSL, BN_mod_exp_mont_consttime, 0, 0) \
    C(OPENSSL, BN_mod_mul, 0, 0) C(OPENSSL, BN_mul, 0, 0) C(OPENSSL, BN_new, 0, 0) \
    C(OPENSSL, BN_set_word, 0, 0) C(OPENSSL, BN_sub_word, 0, 0) \
    C(OPENSSL, CRYPTO_set_mem_functions, 0, 0) C(OPENSSL, OSSL_LIB_CTX_get0_global_default, 0, 0) \
    C(OPENSSL, ECDSA_SIG_new, 0, 0) C(OPENSSL, ECDSA_SIG_set0, 0, 0) \
    C(OPENSSL, EVP_CIPHER_CTX_ctrl, 0, 0) C(OPENSSL, EVP_CIPHER_CTX_new, 0, 0) \
    C(OPENSSL, EVP_CIPHER_CTX_reset, 0, 0) C(OPENSSL, EVP_CIPHER_CTX_set_padding, 0, 0) \
    C(OPENSSL, EVP_DecryptFinal_ex, 0, 0) C(OPENSSL, EVP_DecryptInit_ex, 0, 0) \
    C(OPENSSL, EVP_DecryptUpdate, 0, 0) C(OPENSSL, EVP_Digest, 0, 0) \
    C(OPENSSL, EVP_DigestFinal_ex, 0, 0) C(OPENSSL, EVP_DigestInit_ex, 0, 0) \
    C(OPENSSL, EVP_DigestUpdate, 0, 0) C(OPENSSL, EVP_DigestVerify, -1, 0) \
    C(OPENSSL, EVP_DigestVerifyInit, 0, 0) C(OPENSSL, EVP_EncryptFinal_ex, 0, 0) \
    C(OPENSSL, EVP_EncryptInit_ex, 0, 0) C(OPENSSL, EVP_EncryptUpdate, 0, 0) \
    C(OPENSSL, EVP_MD_CTX_new, 0, 0) C(OPENSSL, EVP_PKCS82PKEY, 0, 0) \
    C(OPENSSL, EVP_PKEY_CTX_new_from_name, 0, 0) C(OPENSSL, EVP_PKEY_CTX_new_from_pkey, 0, 0) \
    C(OPENSSL, EVP_PKEY_CTX_set_rsa_mgf1_md, 0, 0) C(OPENSSL, EVP_PKEY_CTX_set_rsa_oaep_md, 0, 0) \
    C(OPENSSL, EVP_PKEY_CTX_set_rsa_padding, 0, 0) C(OPENSSL, EVP_PKEY_CTX_set_rsa_pss_saltlen, 0, 0) \
    C(OPENSSL, EVP_PKEY_Q_keygen, 0, 0) \
    C(OPENSSL, EVP_PKEY_decrypt, 0, 0) C(OPENSSL, EVP_PKEY_decrypt_init, 0, 0) \
    C(OPENSSL, EVP_PKEY_encrypt, 0, 0) C(OPENSSL, EVP_PKEY_encrypt_init, 0, 0) \
    C(OPENSSL, EVP_PKEY_eq, -1, 0) C(OPENSSL, EVP_PKEY_fromdata, 0, 0) \
    C(OPENSSL, EVP_PKEY_fromdata_init, 0, 0) C(OPENSSL, EVP_PKEY_get_bits, 0, 0) \
    C(OPENSSL, EVP_PKEY_get_bn_param, 0, 0) C(OPENSSL, EVP_PKEY_get_group_name, 0, 0) \
    C(OPENSSL, EVP_PKEY_get_size, 0, 0) C(OPENSSL, EVP_PKEY_is_a, 0, 0) \
    C(OPENSSL, EVP_PKEY_pairwise_check, 0, 0) C(OPENSSL, EVP_PKEY_private_check, 0, 0) \
    C(OPENSSL, EVP_PKEY_public_check, 0, 0) C(OPENSSL, EVP_PKEY_up_ref, 0, 0) \
    C(OPENSSL, OBJ_obj2txt, -1, 0) C(OPENSSL, OPENSSL_sk_new_null, 0, 0) \
    C(OPENSSL, OPENSSL_sk_push, 0, 0) C(OPENSSL, OSSL_PARAM_BLD_new, 0, 0) \
    C(OPENSSL, OSSL_PARAM_BLD_push_BN, 0, 0) C(OPENSSL, OSSL_PARAM_BLD_push_octet_string, 0, 0) \
    C(OPENSSL, OSSL_PARAM_BLD_push_utf8_string, 0, 0) C(OPENSSL, OSSL_PARAM_BLD_to_param, 0, 0) \
    C(OPENSSL, PEM_read_bio_PrivateKey, 0, 0) C(OPENSSL, PEM_read_bio_PUBKEY, 0, 0) \
    C(OPENSSL, PEM_read_bio_X509, 0, 0) C(OPENSSL, PEM_write_bio_X509, 0, 0) \
    C(OPENSSL, RAND_bytes, 0, 0) C(OPENSSL, RAND_priv_bytes, 0, 0) \
    C(OPENSSL, X509_STORE_CTX_init, 0, 0) \
    C(OPENSSL, X509_STORE_CTX_new, 0, 0) C(OPENSSL, X509_STORE_load_file, 0, 0) \
    C(OPENSSL, X509_STORE_load_path, 0, 0) C(OPENSSL, X509_STORE_new, 0, 0) \
    C(OPENSSL, X509_VERIFY_PARAM_set1_host, 0, 0) C(OPENSSL, X509_VERIFY_PARAM_set1_ip_asc, 0, 0) \
    C(OPENSSL, X509_VERIFY_PARAM_set_purpose, 0, 0) C(OPENSSL, X509_digest, 0, 0) \
    C(OPENSSL, X509_get0_pubkey, 0, 0) C(OPENSSL, X509_get_pubkey, 0, 0) \
    C(OPENSSL, X509_get_signature_info, 0, 0) C(OPENSSL, X509_verify, -1, 0) \
    C(OPENSSL, X509_verify_cert, -1, 0) C(OPENSSL, d2i_PKCS8_PRIV_KEY_INFO, 0, 0) \
    C(OPENSSL, d2i_X509, 0, 0) C(OPENSSL, i2d_ECDSA_SIG, -1, 0) \
    C(OPENSSL, ASN1_TIME_to_tm, 0, 0) C(OPENSSL, X509_cmp_time, 0, 0) \
    C(OPENSSL, X509_get_X509_PUBKEY, 0, 0) C(OPENSSL, X509_get_ext_d2i, 0, 0) \
    C(OPENSSL, i2d_X509_PUBKEY, -1, 0) \
    \
    C(CURL, curl_easy_getinfo, CURLE_UNKNOWN_OPTION, 0) C(CURL, curl_easy_init, 0, 0) \
    C(CURL, curl_easy_setopt, CURLE_OUT_OF_MEMORY, 0) \
    C(CURL, curl_global_init_mem, CURLE_FAILED_INIT, 0) \
    C(CURL, curl_multi_add_handle, CURLM_OUT_OF_MEMORY, 0) C(CURL, curl_multi_info_read, 0, 0) \
    C(CURL, curl_multi_init, 0, 0) C(CURL, curl_multi_perform, CURLM_OUT_OF_MEMORY, 0) \
    C(CURL, curl_multi_poll, CURLM_OUT_OF_MEMORY, 0) \
    C(CURL, curl_multi_setopt, CURLM_UNKNOWN_OPTION, 0) C(CURL, curl_slist_append, 0, 0) \
    C(CURL, curl_version_info, 0, 0) \
    \
    C(PARSERS, XML_ParserCreate_MM, 0, 0) C(PARSERS, XML_Parse, 0, 0) \
    C(PARSERS, cJSON_ParseWithLengthOpts, 0, 0) C(PARSERS, inflateInit2_, -4, 0) \
    C(PARSERS, inflate, -4, 0) C(PARSERS, inflateReset, -2, 0) \
    C(PARSERS, deflateInit2_, -4, 0) C(PARSERS, deflate, -2, 0) \
    \
    C(FILES, access, -1, EACCES) C(FILES, fallocate, -1, ENOSPC) \
    C(FILES, fchmod, -1, EIO) C(FILES, fchown, -1, EPERM) C(FILES, fcntl, -1, EIO) \
    C(FILES, fdopendir, 0, ENOMEM) C(FILES, fflush, -1, EIO) C(FILES, flock, -1, ENOLCK) \
    C(FILES, fopen, 0, EMFILE) C(FILES, fopen64, 0, EMFILE) C(FILES, fstat, -1, EIO) \
    C(FILES, fstatat, -1, EIO) C(FILES, fstatfs, -1, EIO) C(FILES, fstatvfs, -1, EIO) \
    C(FILES, fsync, -1, EIO) C(FILES, ftruncate, -1, EIO) C(FILES, fwrite, 0, EIO) \
    C(FILES, isatty, 0, ENOTTY) C(FILES, linkat, -1, EIO) C(FILES, mkdir, -1, EIO) \
    C(FILES, mkdirat, -1, ENOSPC) C(FILES, open, -1, EMFILE) C(FILES, open64, -1, EMFILE) \
    C(FILES, openat, -1, EMFILE) C(FILES, opendir, 0, EMFILE) C(FILES, pread, -1, EIO) \
    C(FILES, pwrite, -1, ENOSPC) C(FILES, read, -1, EIO) C(FILES, readdir, 0, EIO) \
    C(FILES, renameat, -1, EIO) C(FILES, renameat2, -1, EIO) C(FILES, rmdir, -1, EIO) \
    C(FILES, stat, -1, EIO) C(FILES, statfs, -1, EIO) C(FILES, syncfs, -1, EIO) \
    C(FILES, unlinkat, -1, EIO) C(FILES, write, -1, ENOSPC) \
    \
    C(SYSTEM, connect, -1, ECONNREFUSED) \
    C(SYSTEM, eventfd, -1, EMFILE) C(SYSTEM, getrandom, -1, ENOSYS) \
    C(SYSTEM, getsockname, -1, ENOBUFS) C(SYSTEM, getsockopt, -1, ENOBUFS) \
    C(SYSTEM, gmtime_r, 0, EOVERFLOW) C(SYSTEM, ioctl, -1, EIO) C(SYSTEM, madvise, -1, EINVAL) \
    C(SYSTEM, mlock, -1, ENOMEM) C(SYSTEM, mmap, -1, ENOMEM) C(SYSTEM, pipe, -1, EMFILE) \
    C(SYSTEM, poll, -1, ENOMEM) C(SYSTEM, prctl, -1, EINVAL) \
    C(SYSTEM, pthread_create, EAGAIN, 0) C(SYSTEM, recv, -1, ECONNRESET) \
    C(SYSTEM, send, -1, EPIPE) C(SYSTEM, setrlimit, -1, EPERM) C(SYSTEM, setsockopt, -1, ENOBUFS) \
    C(SYSTEM, sigaction, -1, EINVAL) C(SYSTEM, socket, -1, EMFILE) \
    C(SYSTEM, socketpair, -1, EMFILE)
/* clang-format on */
